-- SPDX-License-Identifier: GPL-3.0-or-later
-- Every value is computed from the row's number, so two loads of the same size are equal whatever the plan.

SET synchronous_commit = off;
SET TimeZone = 'UTC';

INSERT INTO sales.order_lines (order_id, ordered_at, line_no, product_id, quantity, unit_price)
SELECT i,
       '2023-01-01 00:00:00+00'::timestamptz + i * ('1095 days'::interval / o.orders),
       line,
       1 + (i * 31 + line * 17) % o.products,
       1 + (i + line) % 9,
       ((i * 13 + line) % 20000)::numeric / 100
FROM (SELECT current_setting('shop.orders')::bigint AS orders, current_setting('shop.products')::bigint AS products) AS o,
     generate_series(1, o.orders) AS i,
     generate_series(1, 1 + i % 4) AS line;

INSERT INTO catalog.categories (id, parent_id, name)
SELECT i, CASE WHEN i > 10 THEN i / 10 END, 'Category ' || i FROM generate_series(1, 200) AS i;

INSERT INTO catalog.products (id, sku, category_id, name, description, price, tax_rate, weight, dimensions, stock, colours,
                              attributes, details, picture, warranty, search, updated_at)
SELECT i,
       chr(65 + i % 26) || chr(65 + i / 26 % 26) || 'X-' || lpad(i::text, 6, '0'),
       1 + i % 200,
       w.adjective || ' ' || w.thing || ' ' || i,
       'The ' || w.adjective || ' ' || w.thing || ' of series ' || i % 50 || '. ' || repeat(md5(i::text) || ' ', 4),
       ((i * 37) % 100000)::numeric / 100,
       CASE WHEN i % 5 = 0 THEN 0.070 ELSE 0.190 END,
       CASE WHEN i % 11 = 0 THEN 'NaN' ELSE sqrt(i) / 3 END,
       ARRAY[i / 7.0, sqrt(i), 0.1],
       i % 500,
       ARRAY[w.colour, NULL, 'a "quoted", one'],
       hstore(ARRAY['colour', w.colour, 'origin', 'EU' || i % 27, 'eco', NULL]),
       jsonb_build_object('series', i % 50, 'ratings', jsonb_build_array(i % 5, i % 4, null), 'text', 'naïve ☕'),
       CASE WHEN i % 4 = 0 THEN p.bytes || p.bytes || p.bytes || p.bytes ELSE p.bytes END,
       make_interval(months => (i % 60)::integer, secs => i % 7),
       to_tsvector('simple', w.adjective || ' ' || w.thing || ' ' || w.colour),
       '2025-01-01 00:00:00+00'::timestamptz + i * interval '1 minute'
FROM generate_series(1, current_setting('shop.products')::integer) AS i,
     LATERAL (SELECT (ARRAY['small', 'sturdy', 'bright', 'quiet', 'heavy', 'fine', 'old'])[1 + i % 7] AS adjective,
                     (ARRAY['lamp', 'chair', 'kettle', 'drum', 'ladder', 'clock', 'spoon', 'tent', 'boot'])[1 + i % 9] AS thing,
                     (ARRAY['red', 'green', 'blue', 'größenwahn-grau'])[1 + i % 4] AS colour) AS w,
     LATERAL (SELECT string_agg(sha512((i || ':' || k)::bytea), ''::bytea ORDER BY k) AS bytes
              FROM generate_series(1, 12) AS k) AS p;

INSERT INTO sales.customers (id, public_id, email, full_name, home, tags, scores, profile, preferences, credit, newsletter,
                             birthday, last_ip, network, online_for, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT i,
       md5('customer' || i)::uuid,
       'customer' || i || '@example.com',
       (ARRAY['Ada', 'Björk', 'Chloë', 'Đặng', 'O''Neil', 'Zoë'])[1 + i % 6] || ' ' || initcap(substr(md5(i::text), 1, 8)),
       ROW('Street "' || i % 400 || '", rear', lpad((i % 99999)::text, 5, '0'), 'Köln', 'DE')::sales.address,
       ARRAY['t' || i % 5, 'since ' || 2010 + i % 14],
       CASE WHEN i % 3 = 0 THEN ARRAY[i % 10, NULL, i % 100]::integer[] END,
       jsonb_build_object('lang', (ARRAY['de', 'en', 'pl', 'ja'])[1 + i % 4], 'visits', i % 999, 'hash', md5(i::text)),
       json_build_object('b', i % 2, 'a', true),
       ((i * 17) % 100000)::numeric / 100 - 200,
       i % 2 = 0,
       CASE WHEN i % 1000 = 0 THEN 'infinity'::date ELSE '1950-01-01'::date + (i % 20000)::integer END,
       CASE WHEN i % 5 = 0 THEN '2001:db8::'::inet + i ELSE '10.0.0.0'::inet + i % 16000000 END,
       '192.168.0.0/16'::cidr,
       (i % 100000) * interval '1.5 seconds',
       '2020-01-01 00:00:00+00'::timestamptz + i * interval '90 seconds',
       '2024-01-01 00:00:00+00'::timestamptz + i * interval '17.25 seconds'
FROM generate_series(1, current_setting('shop.customers')::integer) AS i;

INSERT INTO catalog.promotions (id, during, percent)
SELECT i, tstzrange('2024-01-01 00:00:00+00'::timestamptz + i * interval '7 days',
                    '2024-01-06 00:00:00+00'::timestamptz + i * interval '7 days'), 5 + i % 40
FROM generate_series(1, 100) AS i;

INSERT INTO sales.carts (session_id, customer_id, items, touched_at)
SELECT md5('cart' || i)::uuid, i, jsonb_build_array(jsonb_build_object('product', i % 1000, 'n', 1 + i % 3)),
       '2025-06-01 00:00:00+00'::timestamptz + i * interval '1 second'
FROM generate_series(1, 10000) AS i;

INSERT INTO audit.access_log (at, request, path, client, seconds)
SELECT '2025-06-01 00:00:00+00'::timestamptz + i * interval '3 seconds', md5('request' || i)::uuid, '/product/' || i % 5000,
       '10.1.0.0'::inet + i % 65000, 1.0 / (1 + i % 1000)
FROM generate_series(1, 12000) AS i
UNION ALL
-- Rows that are equal in every column: only a count per row value tells one from two.
SELECT '2025-05-31 12:00:00+00', md5('health check')::uuid, '/health', NULL, 0.001 FROM generate_series(1, 50);

INSERT INTO audit.counters (slot) SELECT generate_series(0, 15);

INSERT INTO "Back Office"."Mitarbeiter Übersicht" ("Nr.", "Vor- & Name", "Größe (cm)", "Boss Nr.", "日本語", "say ""hi""")
SELECT i, 'Jürgen Groß-' || i, 150 + (i % 500) / 10.0, CASE WHEN i > 1 THEN 1 + i / 10 END, '社員' || i, E'tab\there'
FROM generate_series(1, 2000) AS i;

INSERT INTO "Back Office"."Salaries"
SELECT i, '2024-01-01'::date + 365 * y, (3000 + i % 4000 + 100 * y)::numeric::money
FROM generate_series(1, 2000) AS i, generate_series(0, 1) AS y;

-- Their numbers are fixed too: nobody else makes large objects in this database.
INSERT INTO catalog.manuals (product_id, language, document)
SELECT i, 'en', lo_from_bytea((500000 + i)::oid, m.bytes)
FROM generate_series(1, 300) AS i,
     LATERAL (SELECT string_agg(sha512((i || '/' || k)::bytea), ''::bytea ORDER BY k) AS bytes
              FROM generate_series(1, 100 + i % 50) AS k) AS m;

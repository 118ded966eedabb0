-- SPDX-License-Identifier: GPL-3.0-or-later
-- Every value is computed from the row's number, so two loads of the same size are equal whatever the plan.

SET synchronous_commit = off;
SET TimeZone = 'UTC';

INSERT INTO sales.orders (id, ordered_at, customer_id, state, total, deliver_to, note)
SELECT i,
       '2023-01-01 00:00:00+00'::timestamptz + i * ('1095 days'::interval / o.orders),
       1 + (i * 7919) % o.customers,
       (ARRAY['new', 'paid', 'packed', 'shipped', 'shipped', 'returned'])[1 + i % 6]::sales.order_state,
       ((i * 131) % 90000)::numeric / 100,
       CASE WHEN i % 4 = 0 THEN ROW('Depot ' || i % 97, lpad((i % 99999)::text, 5, '0'), 'Łódź', 'PL')::sales.address END,
       CASE WHEN i % 3 = 0 THEN 'ring twice, ' || md5(i::text) END
FROM (SELECT current_setting('shop.orders')::bigint AS orders, current_setting('shop.customers')::bigint AS customers) AS o,
     generate_series(1, o.orders) AS i;

INSERT INTO sales.payments (id, method, order_id, ordered_at, amount, reference, answer, paid_at)
SELECT row_number() OVER (ORDER BY id),
       (ARRAY['card', 'wallet', 'transfer', 'invoice', 'voucher'])[1 + id % 5],
       id, ordered_at, total,
       md5('payment' || id)::uuid,
       jsonb_build_object('code', id % 7, 'bank', md5((id % 1000)::text), 'ok', id % 50 <> 0),
       ordered_at + (id % 100) * interval '1 minute'
FROM sales.orders
WHERE id % 2 = 0;

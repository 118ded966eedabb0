-- SPDX-License-Identifier: GPL-3.0-or-later
-- After the rows: keys, indexes and triggers are far cheaper to make once than to keep while loading.

SET maintenance_work_mem = '128MB';
SET synchronous_commit = off;

ALTER TABLE catalog.categories ADD FOREIGN KEY (parent_id) REFERENCES catalog.categories;
ALTER TABLE catalog.products ADD FOREIGN KEY (category_id) REFERENCES catalog.categories;
ALTER TABLE catalog.products ADD CONSTRAINT products_sku_key UNIQUE (sku);
ALTER TABLE catalog.manuals ADD FOREIGN KEY (product_id) REFERENCES catalog.products ON DELETE CASCADE;
ALTER TABLE sales.customers ADD CONSTRAINT customers_public_id_key UNIQUE (public_id);
ALTER TABLE sales.orders ADD FOREIGN KEY (customer_id) REFERENCES sales.customers;
ALTER TABLE sales.order_lines ADD FOREIGN KEY (order_id, ordered_at) REFERENCES sales.orders ON DELETE CASCADE;
ALTER TABLE sales.order_lines ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE sales.payments ADD FOREIGN KEY (order_id, ordered_at) REFERENCES sales.orders ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "Back Office"."Mitarbeiter Übersicht" ADD CONSTRAINT "Boss gibt's" FOREIGN KEY ("Boss Nr.")
    REFERENCES "Back Office"."Mitarbeiter Übersicht";
ALTER TABLE "Back Office"."Salaries" ADD FOREIGN KEY ("Employee Nr.") REFERENCES "Back Office"."Mitarbeiter Übersicht";

CREATE UNIQUE INDEX customers_email_key ON sales.customers (lower(email));
CREATE INDEX customers_tags_idx ON sales.customers USING gin (tags);
CREATE INDEX products_search_idx ON catalog.products USING gin (search);
CREATE INDEX products_name_trgm_idx ON catalog.products USING gin (name gin_trgm_ops);
CREATE INDEX products_details_idx ON catalog.products USING gin (details jsonb_path_ops);
CREATE INDEX orders_customer_idx ON sales.orders (customer_id);
CREATE INDEX orders_open_idx ON sales.orders (ordered_at) WHERE state IN ('new', 'paid');
CREATE INDEX orders_writer_idx ON sales.orders (writer_no) WHERE writer_no IS NOT NULL;
CREATE INDEX payments_order_idx ON sales.payments (order_id, ordered_at);
CREATE INDEX access_log_at_idx ON audit.access_log USING brin (at);
CREATE INDEX access_log_request_idx ON audit.access_log (request);
CREATE INDEX "Größe, fallend" ON "Back Office"."Mitarbeiter Übersicht" ("Größe (cm)" DESC NULLS LAST) INCLUDE ("日本語");
CREATE STATISTICS sales.orders_customer_state (dependencies) ON customer_id, state FROM sales.orders;

SELECT setval('catalog.products_id_seq', max(id)) FROM catalog.products;
SELECT setval('sales.order_id_seq', max(id)) FROM sales.orders;
SELECT setval('sales.payments_id_seq', max(id)) FROM sales.payments;
SELECT setval(pg_get_serial_sequence('sales.customers', 'id'), max(id)) FROM sales.customers;
SELECT setval(pg_get_serial_sequence('catalog.promotions', 'id'), max(id)) FROM catalog.promotions;
SELECT setval(pg_get_serial_sequence('"Back Office"."Mitarbeiter Übersicht"', 'Nr.'), max("Nr."))
FROM "Back Office"."Mitarbeiter Übersicht";

CREATE FUNCTION catalog.keep_product() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := to_tsvector('pg_catalog.simple', NEW.name);
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_product BEFORE INSERT OR UPDATE ON catalog.products
    FOR EACH ROW EXECUTE FUNCTION catalog.keep_product();

CREATE FUNCTION audit.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO audit.changes (table_name, row_key, before, after, changed_at)
    VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, OLD.id::text,
            jsonb_build_object('price', OLD.price, 'stock', OLD.stock),
            jsonb_build_object('price', NEW.price, 'stock', NEW.stock), clock_timestamp());
    RETURN NULL;
END
$$;
CREATE TRIGGER note_change AFTER UPDATE OF price, stock ON catalog.products
    FOR EACH ROW WHEN (OLD.stock IS DISTINCT FROM NEW.stock OR OLD.price IS DISTINCT FROM NEW.price)
    EXECUTE FUNCTION audit.note_change();

CREATE FUNCTION sales.add_to_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sales.orders SET total = total + NEW.quantity * NEW.unit_price
    WHERE id = NEW.order_id AND ordered_at = NEW.ordered_at;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sales.add_to_total() IS 'A target that fired this while changes are applied would count every line twice';
CREATE TRIGGER add_to_total AFTER INSERT ON sales.order_lines
    FOR EACH ROW EXECUTE FUNCTION sales.add_to_total();

CREATE FUNCTION sales.city_of(customer sales.customers) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT (customer.home).city $$;
CREATE PROCEDURE sales.archive_orders(older_than timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sales.orders WHERE ordered_at < older_than;
END
$$;
CREATE AGGREGATE sales.product_of(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');

CREATE VIEW sales.order_totals AS
    SELECT o.id, o.customer_id, o.ordered_at, o.state, count(l.line_no) AS lines, sum(l.quantity * l.unit_price) AS amount
    FROM sales.orders AS o LEFT JOIN sales.order_lines AS l ON (l.order_id, l.ordered_at) = (o.id, o.ordered_at)
    GROUP BY o.id, o.customer_id, o.ordered_at, o.state;
CREATE VIEW sales.customer_value AS
    SELECT c.id, c.full_name, sales.city_of(c) AS city, sum(t.amount) AS amount
    FROM sales.customers AS c JOIN sales.order_totals AS t ON t.customer_id = c.id
    GROUP BY c.id;
CREATE VIEW "Back Office"."Chefs" AS
    SELECT DISTINCT b.* FROM "Back Office"."Mitarbeiter Übersicht" AS b
    JOIN "Back Office"."Mitarbeiter Übersicht" AS m ON m."Boss Nr." = b."Nr.";
CREATE MATERIALIZED VIEW sales.monthly_revenue AS
    SELECT date_trunc('month', ordered_at AT TIME ZONE 'UTC') AS month, state, count(*) AS orders, sum(total) AS revenue
    FROM sales.orders WHERE writer_no IS NULL GROUP BY 1, 2;
CREATE UNIQUE INDEX monthly_revenue_key ON sales.monthly_revenue (month, state);
COMMENT ON MATERIALIZED VIEW sales.monthly_revenue IS 'Refreshed every night';

ALTER TABLE "Back Office"."Salaries" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own salary" ON "Back Office"."Salaries" FOR SELECT
    USING ("Employee Nr." = current_setting('shop.employee', true)::integer);
GRANT USAGE ON SCHEMA catalog TO PUBLIC;
GRANT SELECT ON catalog.products, catalog.categories TO PUBLIC;

ANALYZE;

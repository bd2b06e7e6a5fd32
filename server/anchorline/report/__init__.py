"""The report: cost, hits, routes and decisions, added up from the database for a table, JSON or a page."""

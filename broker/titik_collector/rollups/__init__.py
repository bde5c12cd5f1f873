"""Minutes, hours and days of routers, sites and the city, computed again when samples change."""

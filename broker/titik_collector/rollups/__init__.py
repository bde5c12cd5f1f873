"""Minutes, hours and days of routers, sites and the city: computed again when their samples change."""

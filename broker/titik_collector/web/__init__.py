"""The page: what people see of the city in a browser, now and live, and nothing they can change."""

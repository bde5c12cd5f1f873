"""Which routers and sites the city has, and which router stood where from when."""

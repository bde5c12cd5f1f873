"""The router half: takes samples, keeps them until the collector has them, and reports them."""

"""What people read, in their language: catalogues, numbers, dates and durations."""

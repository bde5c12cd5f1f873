"""The screens, one file each: parse the query, ask the city, render."""

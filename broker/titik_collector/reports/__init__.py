"""What the city's office, a provider and an operator read of a month or a year, on paper or page.

Rule: a figure stands beside how much of its time is known.
Rule: page and paper are drawn from one template.
"""

"""The contract as the first agents and collectors read it, frozen at commit 91ffe62.

Rule: nothing here is ever edited; `titik_wire` grows, and what it writes must be read here.
"""

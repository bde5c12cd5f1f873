"""The way to a broker, for router and server: one address, one dialling, one connection over paho.

It knows the standard library and paho, and neither half.
"""

"""The configuration file: read once into one frozen object, and edited without losing a line."""

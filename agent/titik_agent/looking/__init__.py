"""What a router answers when its city looks at it from a distance."""

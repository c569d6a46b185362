"""Messages to people: what is said, to which recipient, and how it is sent."""

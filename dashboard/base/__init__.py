"""What two or more subjects of the dashboard use."""

"""Events → read models: what the boards and the coaching queue are read from."""

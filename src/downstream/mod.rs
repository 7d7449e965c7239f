//! FLOOR 5. Doors: the only place that knows how a client arrived.

//! FLOOR 3. Windows: the only place that knows how a server is reached.

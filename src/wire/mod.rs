//! GROUND FLOOR. Bytes to messages and back. Knows JSON-RPC, and which members are ever looked at.

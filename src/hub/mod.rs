//! FLOOR 4. The corridor between doors and windows.

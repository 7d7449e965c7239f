//! What an operating system does its own way, behind one trait.

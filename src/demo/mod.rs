//! The demo servers that `config.example.toml` names: small, real, in the same binary.

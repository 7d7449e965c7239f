//! placeholder
pub fn explain(_what: &str) -> Option<String> {
    None
}

//! placeholder
use crate::config::Config;
use crate::config::search::Search;
pub fn example() -> &'static str {
    include_str!("../../config.example.toml")
}
pub fn schema() -> String {
    String::new()
}
pub fn show(c: &Config, _j: bool) -> String {
    format!("{c:#?}")
}
pub fn path(_s: &Search, _j: bool) -> String {
    String::new()
}

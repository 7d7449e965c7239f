//! Whom a server means that asks and does not say whom.
//!
//! On a byte stream nothing links a server's request to the call that caused it. If all that is open there
//! comes from one client, it is that one; else it is nobody, because a guess would show one client's secrets
//! to another.

use crate::mcp::caller::ClientId;

/// Whose the open requests of a link are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    One(ClientId),
    /// Nothing is open.
    Nobody,
    Several,
}

/// `open` gives the client of each open request, in any order and as often as it has one. It is read only as
/// far as the answer needs.
pub fn owner(open: impl IntoIterator<Item = ClientId>) -> Owner {
    let mut open = open.into_iter();
    let Some(first) = open.next() else { return Owner::Nobody };
    match open.any(|client| client != first) {
        true => Owner::Several,
        false => Owner::One(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_belongs_to_a_client_that_is_alone() {
        let of = |clients: &[u64]| owner(clients.iter().copied().map(ClientId));
        assert_eq!(of(&[]), Owner::Nobody);
        assert_eq!(of(&[7]), Owner::One(ClientId(7)));
        assert_eq!(of(&[7, 7, 7]), Owner::One(ClientId(7)));
        assert_eq!(of(&[7, 7, 8]), Owner::Several);
    }

    #[test]
    fn the_first_other_client_decides() {
        let open = [1, 2].into_iter().chain(std::iter::repeat_with(|| panic!("looked too far")));
        assert_eq!(owner(open.map(ClientId)), Owner::Several);
    }
}

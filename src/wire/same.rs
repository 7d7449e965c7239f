//! Whether two texts are the same, for texts that nobody may guess by how long that takes.

/// Whether two secrets are the same. Takes as long for a near miss as for any other of the same length.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks(), other.as_chunks());
    let words = words.iter().zip(other_words);
    let words = words.map(|(one, other)| u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other));
    let rest = rest.iter().zip(other_rest).map(|(one, other)| u64::from(one ^ other));
    // Hidden from the optimiser, which could otherwise leave the loop early.
    words.chain(rest).fold(0, |differing, here| std::hint::black_box(differing | here)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_makes_a_difference() {
        for bytes in 0..40 {
            let one = vec![b'x'; bytes];
            assert!(is_same(&one, &one.clone()) && !is_same(&one, &vec![b'x'; bytes + 1]));
            for at in 0..bytes {
                let mut other = one.clone();
                other[at] ^= 1;
                assert!(!is_same(&one, &other), "{at} of {bytes}");
            }
        }
    }
}

//! The name in a client's certificate.
//!
//! Reads as much of X.509 as stands before the name (RFC 5280, 4.1), of a certificate that was found good before: whom it
//! was made by and how long it holds was TLS's affair. What it cannot read has no name.

/// Whom it names: the first of its alternative names that is a host, a URI or an address of mail, else its common name.
pub(super) fn name(certificate: &[u8]) -> Option<String> {
    let (body, _) = Piece::expect(certificate, SEQUENCE)?;
    let (body, _) = Piece::expect(body, SEQUENCE)?;
    let mut pieces = Pieces(body).peekable();
    pieces.next_if(|piece| piece.tag == VERSION);
    // Serial number, algorithm, issuer, validity.
    let mut pieces = pieces.skip(4);
    let subject = pieces.next().filter(|piece| piece.tag == SEQUENCE)?;
    let extensions = pieces.find(|piece| piece.tag == EXTENSIONS);
    let name = extensions.and_then(|all| alternative(all.content)).or_else(|| common(subject.content))?;
    let is_fine = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    is_fine.then_some(name)
}

/// RFC 5280, 4.2.1.6.
fn alternative(extensions: &[u8]) -> Option<String> {
    let (all, _) = Piece::expect(extensions, SEQUENCE)?;
    let names = Pieces(all).find_map(|extension| {
        let mut pieces = Pieces(extension.content).filter(|piece| piece.tag != BOOLEAN);
        let id = pieces.next().filter(|piece| piece.tag == OBJECT_ID)?;
        let value = pieces.next().filter(|piece| piece.tag == OCTETS)?;
        (id.content == ALTERNATIVE_NAME).then_some(value.content)
    })?;
    let (names, _) = Piece::expect(names, SEQUENCE)?;
    let named = Pieces(names).find(|name| [MAIL, HOST, URI].contains(&name.tag))?;
    str::from_utf8(named.content).ok().map(str::to_owned)
}

/// RFC 5280, 4.1.2.6.
fn common(subject: &[u8]) -> Option<String> {
    let attributes = Pieces(subject).flat_map(|set| Pieces(set.content));
    attributes.into_iter().find_map(|attribute| {
        let mut pieces = Pieces(attribute.content);
        let id = pieces.next().filter(|piece| piece.tag == OBJECT_ID)?;
        let value = pieces.next().filter(|piece| TEXTS.contains(&piece.tag))?;
        let is_it = id.content == COMMON_NAME;
        is_it.then(|| str::from_utf8(value.content).ok().map(str::to_owned)).flatten()
    })
}

/// One value of DER: what it is, and what is in it.
#[derive(Clone, Copy)]
struct Piece<'a> {
    tag: u8,
    content: &'a [u8],
}

impl<'a> Piece<'a> {
    /// The first, and what comes behind it.
    fn read(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[tag, length], rest) = text.split_first_chunk()?;
        let (length, rest) = match length {
            ..=0x7f => (usize::from(length), rest),
            // No certificate is longer than three bytes can say.
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                (digits.iter().fold(0, |all, digit| all << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Self { tag, content }, rest))
    }

    /// What is in the first, if it is such a one.
    fn expect(text: &'a [u8], tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (piece, rest) = Self::read(text)?;
        (piece.tag == tag).then_some((piece.content, rest))
    }
}

/// Values one behind the other.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (piece, rest) = Piece::read(self.0)?;
        self.0 = rest;
        Some(piece)
    }
}

const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// UTF8String, PrintableString, IA5String: what is ASCII or UTF-8.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const MAIL: u8 = 0x81;
const HOST: u8 = 0x82;
const URI: u8 = 0x86;
/// 2.5.29.17 and 2.5.4.3.
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// Longest name. A host has 253 characters at most.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn certificate(common: Option<&str>, alternatives: &[SanType]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "a team");
        if let Some(common) = common {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = alternatives.to_vec();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        made.der().to_vec()
    }

    #[test]
    fn the_first_name_that_says_who_it_is_counts() {
        let host = SanType::DnsName("agent.example.com".try_into().unwrap());
        let uri = SanType::URI("spiffe://example.com/agent".try_into().unwrap());
        let mail = SanType::Rfc822Name("ana@example.com".try_into().unwrap());
        let ip = SanType::IpAddress("10.0.0.1".parse().unwrap());
        for (common, alternatives, expected) in [
            (Some("ana"), vec![], Some("ana")),
            (Some("Ana Ä"), vec![ip.clone()], Some("Ana Ä")),
            (Some("ana"), vec![host.clone(), uri.clone()], Some("agent.example.com")),
            (None, vec![ip.clone(), uri, host], Some("spiffe://example.com/agent")),
            (None, vec![mail], Some("ana@example.com")),
            (None, vec![ip], None),
            (None, vec![], None),
            (Some(""), vec![], None),
            (Some("a\nb"), vec![], None),
            (Some(&"x".repeat(NAME_BYTES_MAX + 1)), vec![], None),
        ] {
            assert_eq!(name(&certificate(common, &alternatives)).as_deref(), expected, "{common:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_name_and_does_no_harm() {
        let whole = certificate(Some("ana"), &[]);
        for end in 0..whole.len() {
            assert_eq!(name(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut other = whole.clone();
                other[at] = byte;
                name(&other);
            }
        }
    }
}

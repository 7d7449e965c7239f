//! A small PNG, made here, so that a demo of image content needs no file.
//!
//! A chequered square in two colours, 8 bits a channel, in one stored deflate block. It compresses nothing, and its
//! sides are bounded so that it never has to.

/// The bytes of a PNG of `side` by `side` pixels. `side` is at most `SIDE_MAX`, which keeps the pixels inside the
/// 65 535 bytes of one stored block.
pub(super) fn png(side: u8) -> Vec<u8> {
    let side = side.clamp(1, SIDE_MAX);
    let mut header = Vec::new();
    header.extend_from_slice(&u32::from(side).to_be_bytes());
    header.extend_from_slice(&u32::from(side).to_be_bytes());
    // 8 bits a channel, RGB, and the only methods there are for compression, filter and interlace.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &stored(&pixels(side)));
    chunk(&mut png, *b"IEND", &[]);
    png
}

/// Each row starts with its filter, which is none.
fn pixels(side: u8) -> Vec<u8> {
    let square = (side / 4).max(1);
    let mut pixels = Vec::new();
    for y in 0..side {
        pixels.push(0);
        for x in 0..side {
            let dark = (x / square + y / square).is_multiple_of(2);
            pixels.extend_from_slice(if dark { &[0x4a, 0x3a, 0x8c] } else { &[0xf2, 0xb1, 0x34] });
        }
    }
    pixels
}

/// A zlib stream (RFC 1950) of one block that is not compressed (RFC 1951, 3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&(!length).to_le_bytes());
    stream.extend_from_slice(bytes);
    stream.extend_from_slice(&adler32(bytes).to_be_bytes());
    stream
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    png.extend_from_slice(&(data.len() as u32).to_be_bytes());
    png.extend_from_slice(&kind);
    png.extend_from_slice(data);
    let checked = [kind.as_slice(), data].concat();
    png.extend_from_slice(&crc32(&checked).to_be_bytes());
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1u32, 0u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
            },
        )
    })
}

pub(super) const SIDE_MAX: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_agree_with_their_published_examples() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_picture_is_whole_at_both_ends_of_its_range() {
        for side in [0, 1, 3, SIDE_MAX, u8::MAX] {
            let png = png(side);
            let width = u32::from(side.clamp(1, SIDE_MAX));
            assert_eq!(png[16..20], width.to_be_bytes());
            let idat = u32::from_be_bytes(png[33..37].try_into().unwrap());
            assert_eq!(idat, width * (1 + 3 * width) + 11);
            assert_eq!(png[png.len() - 12..], [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82]);
        }
    }
}

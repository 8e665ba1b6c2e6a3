//! The target of a request: what the server behind can read as one (RFC 9112, section 3.2).

use hyper::Uri;

use super::line::Violation;

/// Longest target, in bytes.
const LONGEST: usize = u16::MAX as usize - 1;

/// Refuses what is no URI, or longer than the server behind takes.
pub(super) fn check(target: &[u8]) -> Result<(), Violation> {
    if target.len() > LONGEST {
        return Err(Violation::LongTarget);
    }
    // Nearly all are a path of legal characters. The others are rare: the server's own judgement is asked for.
    let is_plain = target.first() == Some(&b'/') && target.iter().all(|byte| is_of_path(*byte));
    if is_plain || (is_text(target) && Uri::try_from(target).is_ok()) {
        Ok(())
    } else {
        Err(Violation::Target)
    }
}

/// What the server asks of the whole line, where a URI is read no further than to its fragment.
fn is_text(target: &[u8]) -> bool {
    std::str::from_utf8(target).is_ok() && !target.iter().any(u8::is_ascii_control)
}

/// `pchar`, a slash or a question mark: RFC 3986, section 3.4.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_a_uri_to_the_server_too() {
        for byte in (0..=u8::MAX).filter(|byte| is_of_path(*byte)) {
            assert!(Uri::try_from([b'/', byte].as_slice()).is_ok(), "{byte}");
        }
        assert!(Uri::try_from(vec![b'/'; LONGEST].as_slice()).is_ok());
    }

    #[test]
    fn targets_that_are_read_and_that_are_not() {
        for good in ["/", "/a?b#c", "*", "http://a/b", "a:1", "/\u{e9}", "/a|b{c}"] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", "a/b", "http:///a", "/<a", "/\t", "/\u{7f}", "?a"] {
            assert_eq!(check(bad.as_bytes()), Err(Violation::Target), "{bad}");
        }
        assert_eq!(check(&[b'/'; LONGEST + 1]), Err(Violation::LongTarget));
        for bad in [&b"/\xff"[..], b"/#\x80", b"/a?b#\x01", b"http://a/#\x7f"] {
            assert_eq!(check(bad), Err(Violation::Target), "{bad:?}");
        }
    }
}

//! From when until when a certificate is good: the one field of X.509 that is read here.

use jiff::{civil::DateTime, tz::TimeZone};

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: i64,
    pub(super) until: i64,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The validity of a certificate in DER; `None` when it can't be read, which is the verifier's to tell.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let mut certificate = Reader(Reader(certificate).take(SEQUENCE)?);
    let mut signed = Reader(certificate.take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?;
    let _algorithm = signed.take(SEQUENCE)?;
    let _issuer = signed.take(SEQUENCE)?;
    let mut times = Reader(signed.take(SEQUENCE)?);
    Some(Validity { from: times.time()?, until: times.time()? })
}

/// DER: tag, length, content, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(content)
    }

    /// `YYMMDDhhmmssZ`, or with four digits of the year; RFC 5280 allows no other forms.
    fn time(&mut self) -> Option<i64> {
        let utc = *self.0.first()? == UTC_TIME;
        let text = std::str::from_utf8(self.take(if utc { UTC_TIME } else { GENERALIZED_TIME })?).ok()?;
        let text = text.strip_suffix('Z')?;
        let text = match (utc, text.get(..2)?) {
            (true, year) if year < "50" => format!("20{text}"),
            (true, _) => format!("19{text}"),
            (false, _) => text.to_owned(),
        };
        let time = DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
        Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn of(from: i32, until: i32) -> Option<Validity> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 2), date_time_ymd(until, 12, 31));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        validity(certificate.der())
    }

    #[test]
    fn both_forms_of_times_are_read() {
        assert_eq!(of(1999, 2049), Some(Validity { from: 915_235_200, until: 2_524_521_600 }));
        assert_eq!(of(2020, 2060), Some(Validity { from: 1_577_923_200, until: 2_871_676_800 }));
    }

    #[test]
    fn what_is_cut_short_or_no_certificate_is_not_read() {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        for end in 0..der.len() {
            assert_eq!(validity(&der[..end]), None, "{end}");
        }
        assert_eq!(validity(b"certificate"), None);
        assert_eq!(validity(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}

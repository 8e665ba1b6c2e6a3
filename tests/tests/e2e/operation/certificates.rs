//! Certificates of the tests' own.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// Who signs.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// When a certificate is good.
#[derive(Clone, Copy)]
pub(super) enum When {
    Now,
    Past,
}

/// Two PEM files.
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Authority {
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for this machine, written to `files`: the key for root alone, both put in place at once.
    pub(super) fn sign(&self, when: When, files: &Files) -> anyhow::Result<()> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        if matches!(when, When::Past) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        put(&files.key, &key.serialize_pem(), 0o600)?;
        put(&files.certificate, &certificate.pem(), 0o644)
    }
}

impl Files {
    pub(super) fn within(folder: &Path) -> Self {
        Self { certificate: folder.join("server.crt"), key: folder.join("server.key") }
    }

    pub(super) fn arguments(&self) -> [&str; 4] {
        ["--tls-cert", self.certificate.to_str().unwrap(), "--tls-key", self.key.to_str().unwrap()]
    }
}

fn put(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    Ok(fs::rename(&new, path)?)
}

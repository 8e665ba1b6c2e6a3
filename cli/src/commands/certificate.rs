//! The server's certificate: files that its launcher opens for it.

use std::{fs::File, io::Read as _, sync::Arc};

use api_server::serve::tls::{CertificateError, CertificateSource, Pem};
use futures_util::future::{BoxFuture, FutureExt as _};
use runner::local::{CertificateFiles, Client};

/// No certificate is larger, with all that it was signed by.
const BYTES: u64 = 1 << 20;

/// Reads what the launcher opens.
pub(crate) struct FromLauncher {
    pub(crate) launcher: Arc<Client>,
    pub(crate) files: CertificateFiles,
}

impl CertificateSource for FromLauncher {
    fn read(&self) -> BoxFuture<'_, Result<Pem, CertificateError>> {
        async {
            let unreadable = |text: String| CertificateError::Unreadable(text);
            let opened = self.launcher.certificate().await.map_err(|error| unreadable(error.to_string()))?;
            let (certificate, key) =
                opened.ok_or_else(|| unreadable("the launcher has no certificate".to_owned()))?;
            let (certificate_name, key_name) =
                (self.files.certificate.display().to_string(), self.files.key.display().to_string());
            let read = move || {
                Ok(Pem {
                    certificate: content(certificate, &certificate_name)?,
                    key: content(key, &key_name)?.into(),
                    certificate_name,
                    key_name,
                })
            };
            tokio::task::spawn_blocking(read).await.map_err(|error| unreadable(error.to_string()))?
        }
        .boxed()
    }
}

fn content(file: File, name: &str) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    file.take(BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| CertificateError::Unreadable(format!("{name} can't be read: {error}")))?;
    Ok(bytes)
}

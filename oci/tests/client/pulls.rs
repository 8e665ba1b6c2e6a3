//! Downloads that are wrong, cut short, or too much.

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use oci::Digest;
use oci::client::ClientError;
use oci::manifest::{OCI_INDEX, OCI_MANIFEST};

use crate::scripted::*;

const CONTENT: &[u8] = b"some content that is long enough to be cut";

#[tokio::test]
async fn other_content_is_refused() {
    let server =
        Server::start(|seen, _| seen.target.contains("/blobs/").then(|| Response::new(Body::from("other"))))
            .await;
    let error =
        anonymous().blob(&server.reference("a"), &Digest::of(CONTENT), &mut Vec::new()).await.unwrap_err();
    let ClientError::DigestMismatch { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, found), (&Digest::of(CONTENT), &Digest::of(b"other")));
    assert_eq!(server.seen().len(), 1, "the same again would be no better");
}

/// The first `length` bytes of an answer that promised more.
fn cut(code: u16, bytes: &'static [u8], length: usize) -> Response<Body> {
    let first = stream::iter([Ok(Bytes::from_static(&bytes[..length]))]);
    // Later, so that the first bytes are on their way when the connection breaks.
    let broken = stream::once(async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Err(std::io::Error::other("cut"))
    });
    Response::builder()
        .status(code)
        .header("content-length", bytes.len())
        .body(Body::from_stream(first.chain(broken)))
        .unwrap()
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_stopped() {
    let server = Server::start(|seen, before| match (before, seen.header("range")) {
        (0, None) => Some(cut(200, CONTENT, 10)),
        (1, Some("bytes=10-")) => Some(cut(206, &CONTENT[10..], 5)),
        // From here on the registry knows no ranges and begins from the start.
        (2, Some("bytes=15-")) => Some(Response::new(Body::from(CONTENT))),
        _ => Some(status(400)),
    })
    .await;
    let mut content = Vec::new();
    let length = anonymous().blob(&server.reference("a"), &Digest::of(CONTENT), &mut content).await.unwrap();
    assert_eq!((content.as_slice(), length), (CONTENT, CONTENT.len() as u64));
}

#[tokio::test]
async fn a_manifest_is_compared_with_what_is_asked_and_what_is_stated() {
    let server = Server::start(|seen, _| {
        let manifest = Response::new(Body::from("{}")).with("content-type", OCI_MANIFEST);
        let stated = if seen.target.ends_with("/lied") { Digest::of(b"other") } else { Digest::of(b"{}") };
        Some(manifest.with("docker-content-digest", stated.as_str()))
    })
    .await;
    let client = anonymous();
    let (bytes, media_type, digest) = client.manifest(&server.reference("a:right")).await.unwrap();
    assert_eq!(
        (bytes.as_slice(), media_type.as_str(), digest),
        (&b"{}"[..], OCI_MANIFEST, Digest::of(b"{}"))
    );
    let asked = format!("a@{}", Digest::of(b"another"));
    for reference in ["a:lied", asked.as_str()] {
        let error = client.manifest(&server.reference(reference)).await.unwrap_err();
        assert!(matches!(error, ClientError::DigestMismatch { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_without_end_is_not_read() {
    let server = Server::start(|_, _| {
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65536])));
        Some(Response::new(Body::from_stream(endless)).with("content-type", OCI_MANIFEST))
    })
    .await;
    let error = anonymous().manifest(&server.reference("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("longer than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn of_an_index_the_amd64_image_is_pulled() {
    let client = anonymous();
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"m","digest":"{}","size":1,"platform":{{"os":"linux","architecture":"arm64"}}}},{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{},"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#,
        Digest::of(b"arm"),
        image().digest(),
        image().manifest.len()
    );
    let server = Server::start(move |seen, _| {
        seen.target.ends_with("/manifests/index").then(|| json(index.clone()).with("content-type", OCI_INDEX))
    })
    .await;
    client.push(&image(), &server.reference(&format!("a@{}", image().digest()))).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pulled = client.pull(&server.reference("a:index"), dir.path()).await.unwrap();
    assert_eq!(pulled.digest(), image().digest());
    oci::layout::verify(&pulled).unwrap();
}

#[tokio::test]
async fn a_layer_longer_than_its_descriptor_is_not_stored() {
    let layer = Digest::of(b"code");
    let server = Server::start(move |seen, _| {
        (seen.method == "GET" && seen.target.contains(layer.hex()))
            .then(|| Response::new(Body::from("code and more")))
    })
    .await;
    let client = anonymous();
    client.push(&image(), &server.reference("a:1")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = client.pull(&server.reference("a:1"), dir.path()).await.unwrap_err();
    assert!(error.to_string().contains("longer than the 4 bytes"), "{error}");
    let names: Vec<_> = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().collect();
    assert_eq!(names.len(), 1, "the base layer only: {names:?}");
    assert!(!dir.path().join("index.json").exists());
}

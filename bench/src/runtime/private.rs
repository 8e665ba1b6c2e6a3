//! `runtime.private`: what a private function's request costs more than a public one's, its token being known.

use std::{process::Command, time::SystemTime};

use anyhow::Context;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{compare, load, places::Places, process::Server, subjects};
use crate::{
    peer::Peer,
    row::{Better, Row},
};

const ROUNDS: usize = 7;
const SECONDS: u64 = 1;
/// What a caller without a token gets.
const NO_TOKEN: u16 = 404;
const NAMESPACE: &str = "0b5e7a52-3c5c-4b1e-9d0a-0e6f1f5b7c11";
const APPLICATION: &str = "7d0c63b4-52a9-4a8e-8a53-1f0f5d1f2a22";

/// The difference of the shim's own CPU time a request; the median of rounds in turn.
pub(super) fn measure(places: &Places) -> anyhow::Result<Vec<Row>> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).context("a key")?;
    let pem = pem(&key);
    let public = Server::run(|port| subjects::our_node(places, port))?;
    let header = format!("SCW-Functions-Token: {}", token(&key)?);
    let private = Server::run_until(NO_TOKEN, |port| private(places, port, &pem))?;
    let mut differences = Vec::new();
    for round in 0..=ROUNDS {
        let without = cost(&public, &[])?;
        let with = cost(&private, std::slice::from_ref(&header))?;
        // The first is for warmth alone.
        if round > 0 {
            differences.push(with - without);
        }
    }
    let value = compare::median(differences.into_iter());
    let reason = "no peer checks tokens".to_owned();
    Ok(vec![Row::new(
        "runtime.private",
        value,
        "us",
        Better::Less,
        Peer { name: "none", value: Err(reason) },
    )])
}

fn cost(server: &Server, headers: &[String]) -> anyhow::Result<f64> {
    let before = server.own_cpu()?;
    let load = load::run(server.port, SECONDS, headers)?;
    Ok(load::microseconds(server.own_cpu()?.saturating_sub(before), load.requests))
}

fn private(places: &Places, port: u16, pem: &str) -> Command {
    let mut shim = subjects::our_node(places, port);
    shim.env("SCW_PUBLIC", "false").env("SCW_PUBLIC_KEY", pem);
    shim.env("SCW_NAMESPACE_ID", NAMESPACE).env("SCW_APPLICATION_ID", APPLICATION);
    shim
}

fn pem(key: &RsaKeyPair) -> String {
    let body = STANDARD.encode(key.public_key().as_ref());
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", lines.join("\n"))
}

fn token(key: &RsaKeyPair) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let claims = serde_json::json!({
        "iss": "bench", "sub": "bench", "aud": "functions", "iat": now, "nbf": now, "exp": now + 3600, "jti": "1",
        "application_claim": [{"namespace_id": NAMESPACE, "application_id": APPLICATION}],
    });
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .context("a signature")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

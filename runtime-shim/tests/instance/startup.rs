//! What the shim refuses to start with, and what it says.

use crate::{
    tokens::{PKCS1, private},
    world::{Language, Plan, Shim},
};

const HELLO: &str = "module.exports.handle = async () => 'hello';\n";

fn refused(plan: Plan) -> String {
    let mut shim: Shim = plan.on_port();
    let status = shim.wait();
    assert_eq!(status.code(), Some(64), "{}", shim.output());
    shim.output()
}

#[test]
fn a_plain_docker_run_is_told_what_to_add() {
    let said = refused(Plan::new(Language::Node, HELLO).without("SCW_PUBLIC"));
    assert!(said.contains("-e SCW_PUBLIC=true"), "{said}");
}

#[test]
fn a_private_function_without_its_variables_does_not_start() {
    for name in ["SCW_PUBLIC_KEY", "SCW_NAMESPACE_ID", "SCW_APPLICATION_ID"] {
        let said = refused(private(PKCS1).without(name));
        assert!(said.contains(name), "{name}: {said}");
        let said = refused(private(PKCS1).with(name, ""));
        assert!(said.contains(name), "{name} empty: {said}");
    }
    let said = refused(private("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n"));
    assert!(said.contains("SCW_PUBLIC_KEY"), "{said}");
}

#[test]
fn numbers_that_are_none_are_all_named_at_once() {
    let plan =
        Plan::new(Language::Node, HELLO).with("SCW_TIMEOUT_MS", "soon").with("SCW_MAX_CONCURRENCY", "many");
    let said = refused(plan);
    assert!(said.contains("SCW_TIMEOUT_MS") && said.contains("SCW_MAX_CONCURRENCY"), "{said}");
}

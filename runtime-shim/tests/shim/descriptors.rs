//! What a worker inherits: its socket and its output, nothing of the shim's; and the shim keeps nothing of a worker's.

use crate::harness::{Language, Setup, Shim, each, until};

fn lists_descriptors(language: Language) -> Shim {
    let source = match language.key() {
        "node" => {
            "const fs = require('fs');
             exports.handle = function (event) {
               if (event.path === '/exit') process.exit(1);
               const links = fs.readdirSync('/proc/self/fd').map(function (fd) {
                 try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch (e) { return ''; } });
               return {body: {links: links, names: Object.keys(process.env)}}; };"
        }
        _ => {
            "import os\ndef link(fd):\n    try:\n        return os.readlink('/proc/self/fd/' + fd)\n    \
             except OSError:\n        return ''\ndef handle(event, context):\n    \
             if event['path'] == '/exit':\n        os._exit(1)\n    \
             return {'body': {'links': [link(fd) for fd in os.listdir('/proc/self/fd')], 'names': list(os.environ)}}\n"
        }
    };
    Setup::new(language, source).set("MINE", "1").start()
}

#[test]
fn a_worker_has_none_of_the_shims_descriptors_and_settings() {
    each(Language::framed(), |language| {
        let shim = lists_descriptors(language);
        let answer = shim.get("/").json();
        let texts = |key: &str| -> Vec<String> {
            let list = answer[key].as_array().expect("a list").iter();
            list.map(|text| text.as_str().expect("text").to_owned()).collect()
        };
        let links = texts("links");
        assert!(links.len() > 3, "{links:?}");
        for inode in &shim.inodes {
            assert!(!links.iter().any(|link| link.contains(&inode.to_string())), "{language:?} {links:?}");
        }
        let names = texts("names");
        assert!(names.contains(&"MINE".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("ZIPSHIP_")), "{names:?}");
    });
}

#[test]
fn a_shim_keeps_no_descriptor_of_workers_that_died() {
    let shim = lists_descriptors(Language::Python);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", shim.pid())).expect("a list").count();
    assert_eq!(shim.get("/").status, 200);
    let mut before = 0;
    until("the first connection is closed", || {
        let now = open();
        std::mem::replace(&mut before, now) == now
    });
    for _ in 0..3 {
        assert_eq!(shim.get("/exit").status, 502);
        assert_eq!(shim.get("/").status, 200);
    }
    until("as many descriptors as before", || open() <= before);
}

//! Node: output with the id of the request that wrote it, although several run at once.

use contract::instance::LogStream;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, each, release, until};

/// The first line whose code can tell which request it runs for.
const KNOWS_REQUESTS: u8 = 12;

const PRINTS: &str = "
const fs = require('fs');
console.log('at the start');
exports.handle = function (event) {
  console.log(event.path + ' begins');
  if (event.path === '/exit') { console.error('last words'); process.stdout.write('without an end'); process.exit(3); }
  return new Promise(function (resolve) {
    const timer = setInterval(function () {
      if (!fs.existsSync('go')) return;
      clearInterval(timer);
      process.stdout.write(event.path);
      Promise.resolve().then(function () {
        process.stdout.write(' goes');
        process.stdout.write(Buffer.from(' on\\nand\\n'), function () { console.error('%s ends', event.path); });
        process.stdout.write(event.path + ' leaves this');
        setTimeout(resolve, 5, 'done');
      });
    }, 2);
  });
};";

#[test]
fn lines_have_the_id_of_their_request_although_several_run() {
    let all = Language::nodes();
    each(
        all.into_iter().filter(|language| language.node_line() >= Some(KNOWS_REQUESTS)).collect(),
        |language| {
            let shim = Setup::new(language, PRINTS).start();
            let sent = ["a", "b", "c"].map(|id| {
                shim.send(Request::get(&format!("/{id}")).header("X-Request-Id", &format!("request-{id}")))
            });
            for id in ["a", "b", "c"] {
                shim.logged(&format!("/{id} begins"));
            }
            release(&shim);
            for sent in sent {
                assert_eq!(sent.response().text(), "done", "{language:?}");
            }
            for id in ["a", "b", "c"] {
                let own = format!("request-{id}");
                for (text, stream) in [
                    ("begins", LogStream::Stdout),
                    ("goes on", LogStream::Stdout),
                    ("ends", LogStream::Stderr),
                    ("leaves this", LogStream::Stdout),
                ] {
                    let record = shim.logged(&format!("/{id} {text}"));
                    assert_eq!((record.line.as_str(), record.stream), (&*format!("/{id} {text}"), stream));
                    assert_eq!(record.request_id.as_ref(), Some(&own), "{language:?} {record:?}");
                }
                // One write with two lines is two records.
                until("the second line of each", || {
                    let all = shim.all_logged();
                    all.iter().any(|record| record.line == "and" && record.request_id.as_ref() == Some(&own))
                });
            }
            assert_eq!(shim.logged("at the start").request_id, None, "{language:?}");
        },
    );
}

#[test]
fn nothing_that_was_written_is_lost_when_a_handler_exits() {
    each(Language::nodes(), |language| {
        let shim = Setup::new(language, PRINTS).start();
        let answer = shim.call(Request::get("/exit").header("X-Request-Id", "exit-1"));
        assert_eq!(answer.status, 502, "{language:?}");
        for text in ["/exit begins", "last words", "without an end"] {
            let record = shim.logged(text);
            if language.node_line() >= Some(KNOWS_REQUESTS) {
                assert_eq!(record.request_id.as_deref(), Some("exit-1"), "{language:?} {record:?}");
            }
        }
    });
}

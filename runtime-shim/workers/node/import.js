'use strict';
// `import()` is a syntax error on old node versions: only newer ones load this file.
module.exports = function (url) {
  return import(url);
};

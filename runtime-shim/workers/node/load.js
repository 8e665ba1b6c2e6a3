'use strict';
// Finds and imports the handler. Failures are told in node's own words.

const fs = require('fs');
const path = require('path');

const ENDINGS = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts'];
const TYPESCRIPT = /\.[cm]?ts$/;

function isAtLeast(major, minor) {
  const version = process.versions.node.split('.').map(Number);
  return version[0] > major || (version[0] === major && version[1] >= minor);
}

const supportsImport = isAtLeast(12, 17);

// {file, name}: `name` is null where the handler string names a file.
function parse(directory, handler) {
  const text = handler.replace(/^\.\//, '');
  if (/\.[cm]?[jt]s$/.test(text)) return { file: find(directory, text, ['']), name: null };
  const dot = text.lastIndexOf('.');
  if (dot <= 0) throw new Error('the handler "' + handler + '" has no function name; write path/file.function');
  return { file: find(directory, text.slice(0, dot), ENDINGS), name: text.slice(dot + 1) };
}

function find(directory, base, endings) {
  for (let i = 0; i < endings.length; i++) {
    const file = path.join(directory, base + endings[i]);
    if (fs.existsSync(file) && fs.statSync(file).isFile()) return file;
  }
  const folder = path.join(directory, path.dirname(base));
  let there = [];
  try {
    there = fs.readdirSync(folder).sort().slice(0, 20);
  } catch (error) {
    there = [];
  }
  throw new Error('the handler file ' + base + (endings[0] || '') + ' is not there; ' + folder + ' has: ' +
    (there.join(', ') || 'nothing'));
}

// What node itself would take the file for, as far as names tell.
function isModule(file, directory) {
  if (/\.m[jt]s$/.test(file)) return true;
  if (/\.c[jt]s$/.test(file)) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      // A broken one is node's to complain about.
      if (folder === directory || folder === path.dirname(folder)) return false;
    }
  }
}

// An ES module that names did not tell: its own words, or awaiting at its top.
function isModuleAfterAll(error) {
  return Boolean(error) && (error.code === 'ERR_REQUIRE_ESM' || error.code === 'ERR_REQUIRE_ASYNC_MODULE');
}

function importFile(file, directory) {
  if (TYPESCRIPT.test(file) && !process.features.typescript) {
    throw new Error(path.basename(file) + ' is TypeScript, which node takes from 22.18 on (this is ' +
      process.version + '): compile it to JavaScript');
  }
  if (isModule(file, directory)) {
    if (supportsImport) return importModule(file);
    throw new Error(path.basename(file) + ' is an ES module, which node takes from 12.17 on (this is ' +
      process.version + ')');
  }
  try {
    return require(file);
  } catch (error) {
    if (supportsImport && isModuleAfterAll(error)) return importModule(file);
    if (error instanceof SyntaxError && /import statement|Unexpected token '?(export|import|\{|\*)/.test(error.message)) {
      error.message += ' (an ES module is named .mjs, or its package.json says "type": "module")';
    }
    throw error;
  }
}

function importModule(file) {
  return require('./import.js')(require('url').pathToFileURL(file).href);
}

function functionsOf(module) {
  const found = {};
  [module && module.default, module].forEach(function (source) {
    if (source === null || (typeof source !== 'object' && typeof source !== 'function')) return;
    Object.keys(source).forEach(function (name) {
      if (typeof source[name] === 'function') found[name] = source[name];
    });
  });
  return found;
}

function pick(module, file, name) {
  const functions = functionsOf(module);
  const names = Object.keys(functions);
  if (name !== null) {
    if (functions[name]) return functions[name];
    throw new Error(path.basename(file) + ' exports no function "' + name + '"; it exports: ' +
      (names.join(', ') || 'none'));
  }
  if (functions.handle) return functions.handle;
  if (typeof module === 'function') return module;
  if (names.length === 1) return functions[names[0]];
  throw new Error(path.basename(file) + ' exports no "handle" and not exactly one function; it exports: ' +
    (names.join(', ') || 'none'));
}

// A promise of the handler function.
module.exports = function (directory, handler) {
  return Promise.resolve().then(function () {
    const where = parse(directory, handler);
    return Promise.resolve(importFile(where.file, directory)).then(function (module) {
      return pick(module, where.file, where.name);
    });
  });
};

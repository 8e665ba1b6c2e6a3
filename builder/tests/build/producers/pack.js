// Packs the current directory into $OUT as the packages of npm do that deployment tools use.
const fs = require('fs');
const path = require('path');

const way = process.argv[2];
const out = process.env.OUT;

function files(directory) {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name);
    return entry.isDirectory() ? files(name) : [name];
  }).sort();
}

if (way === 'adm-zip') {
  const AdmZip = require('adm-zip');
  const zip = new AdmZip();
  for (const file of files('.')) {
    zip.addFile(file, fs.readFileSync(file), '', fs.statSync(file).mode);
  }
  zip.writeZip(out);
} else {
  const archiver = require('archiver');
  const archive = archiver('zip', { zlib: { level: 6 } });
  archive.on('error', (error) => { throw error; });
  archive.pipe(fs.createWriteStream(out));
  if (way === 'archiver') {
    archive.directory('.', false);
  } else {
    // As the Serverless framework: entry by entry, from memory, with a date.
    for (const file of files('.')) {
      archive.append(fs.readFileSync(file), { name: file, mode: fs.statSync(file).mode & 0o777, date: new Date(0) });
    }
  }
  archive.finalize();
}

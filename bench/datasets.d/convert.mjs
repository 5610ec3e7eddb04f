// SPDX-License-Identifier: Apache-2.0
//
// Turns what the packages ship into base.fbin and query.fbin.
//   node convert.mjs glove EMBEDDINGS.json FOLDER      hold 5,000 random words out as queries; words.txt, query-words.txt too
//   node convert.mjs fashion IDX_FOLDER FOLDER         60,000 training images; the first 5,000 test images
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const SEED = 20260101;
const HELD_OUT = 5000;

// Mulberry32: a small generator whose sequence does not depend on the machine.
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function writeFbin(path, rows, dims, rowAt) {
  const part = `${path}.part`;
  const fd = openSync(part, 'w');
  writeSync(fd, new Uint8Array(Uint32Array.of(rows, dims).buffer));
  const block = 4096;
  for (let first = 0; first < rows; first += block) {
    const count = Math.min(block, rows - first);
    const values = new Float32Array(count * dims);
    for (let i = 0; i < count; ++i) rowAt(first + i, values.subarray(i * dims, (i + 1) * dims));
    writeSync(fd, new Uint8Array(values.buffer));
  }
  closeSync(fd);
  renameSync(part, path);
}

function glove(source, folder) {
  const { words, vectors, dimensions } = JSON.parse(readFileSync(source));
  const order = words.map((_, i) => i);
  const next = random(SEED);
  for (let i = 0; i < HELD_OUT; ++i) {  // the first HELD_OUT places of a Fisher-Yates shuffle
    const j = i + Math.floor(next() * (order.length - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const held = order.slice(0, HELD_OUT);
  const out = new Set(held);
  const kept = words.map((_, i) => i).filter((i) => !out.has(i));
  const copy = (list) => (i, into) => {
    const vector = vectors[words[list[i]]];
    for (let d = 0; d < dimensions; ++d) into[d] = vector[d];
  };
  writeFileSync(`${folder}/words.txt`, kept.map((i) => `${words[i]}\n`).join(''));
  writeFileSync(`${folder}/query-words.txt`, held.map((i) => `${words[i]}\n`).join(''));
  writeFbin(`${folder}/query.fbin`, held.length, dimensions, copy(held));
  writeFbin(`${folder}/base.fbin`, kept.length, dimensions, copy(kept));
}

function readIdx(path) {
  const bytes = gunzipSync(readFileSync(path));
  if (bytes.readUInt32BE(0) !== 0x803) throw new Error(`${path}: not an IDX file of images`);
  return { rows: bytes.readUInt32BE(4), dims: bytes.readUInt32BE(8) * bytes.readUInt32BE(12), pixels: bytes.subarray(16) };
}

function fashion(source, folder) {
  for (const [file, name, limit] of [['t10k', 'query', HELD_OUT], ['train', 'base', Infinity]]) {
    const { rows, dims, pixels } = readIdx(`${source}/${file}-images-idx3-ubyte.gz`);
    writeFbin(`${folder}/${name}.fbin`, Math.min(rows, limit), dims, (i, into) => into.set(pixels.subarray(i * dims, (i + 1) * dims)));
  }
}

const [, , kind, source, folder] = process.argv;
const convert = { glove, fashion }[kind];
if (!convert || !folder) {
  console.error('usage: convert.mjs glove|fashion SOURCE FOLDER');
  process.exit(2);
}
convert(source, folder);

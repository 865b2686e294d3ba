// One exact attention by onnxruntime's CPU kernel, for the benchmark `peers`.
//
//   node onnxruntime_attention.mjs PREFIX FOLDER ROWS WIDTH THREADS
//
// PREFIX is where npm put onnxruntime-node; FOLDER holds model.onnx and query, key, value as raw float32. After each line on
// standard input the model runs once and its seconds are printed; at the end of input, FOLDER/output is written.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

const [prefix, folder, rows, width, threads] = process.argv.slice(2);
const ort = createRequire(path.join(path.resolve(prefix), 'package.json'))('onnxruntime-node');
const shape = [1, Number(rows), Number(width)];
const read = (name) => {
  const bytes = fs.readFileSync(path.join(folder, name));
  return new ort.Tensor('float32', new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), shape);
};
const inputs = Object.fromEntries(['query', 'key', 'value'].map((name) => [name, read(name)]));
const session = await ort.InferenceSession.create(path.join(folder, 'model.onnx'), {
  executionProviders: ['cpu'], intraOpNumThreads: Number(threads), interOpNumThreads: 1,
});

let output;
for await (const _ of readline.createInterface({ input: process.stdin })) {
  const begin = process.hrtime.bigint();
  ({ output } = await session.run(inputs));
  console.log(Number(process.hrtime.bigint() - begin) / 1e9);
}
const { data } = output;
fs.writeFileSync(path.join(folder, 'output'), Buffer.from(data.buffer, data.byteOffset, data.byteLength));

// Checks an optimised WebAssembly module against the one it was made from: valid, and no SIMD lost.
//
// Usage: node check_module.mjs WASM_DIS VARIANT BEFORE.wasm AFTER.wasm
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** Counts the relaxed-SIMD instructions of a module by reading its text form line by line. */
async function countRelaxed(disassembler, path) {
  const child = spawn(process.execPath, [disassembler, '--all-features', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('.relaxed_')) count += 1;
  }
  const status = await exited;
  if (status !== 0) throw new Error(`wasm-dis ended with ${status} on ${path}`);
  return count;
}

async function main() {
  const [disassembler, variant, before, after] = process.argv.slice(2);
  if (after === undefined) throw new Error('usage: check_module.mjs WASM_DIS VARIANT BEFORE AFTER');
  const bytes = await readFile(after);
  if (!WebAssembly.validate(bytes)) throw new Error(`${after} is not a valid module`);
  const [had, has] = await Promise.all([countRelaxed(disassembler, before), countRelaxed(disassembler, after)]);
  // The plain variant must load where relaxed SIMD is unknown; the other must keep what it was built for.
  if (variant === 'simd' && has !== 0) {
    throw new Error(`the simd module holds ${has} relaxed-SIMD instructions`);
  }
  if (variant === 'relaxed' && has < had) {
    throw new Error(`wasm-opt left ${has} of ${had} relaxed-SIMD instructions`);
  }
  console.error(`   ${variant}: ${bytes.length} bytes, ${has} relaxed-SIMD instructions (before: ${had})`);
}

main().catch((error) => {
  console.error(`check_module: ${error.message}`);
  process.exitCode = 1;
});

// Calls every module invalid that holds an instruction of relaxed SIMD (0xfd 0x80 0x02 and up).
const validate = WebAssembly.validate.bind(WebAssembly);

WebAssembly.validate = (source, ...rest) => {
  const bytes = new Uint8Array(source.buffer ?? source);
  const isRelaxed = bytes.some((byte, at) => byte === 0xfd && bytes[at + 1] >= 0x80 && bytes[at + 2] === 0x02);
  return !isRelaxed && validate(source, ...rest);
};

// Reads schemas/asyncapi.yaml with AsyncAPI's own parser; exit code 1 and the faults when it has any.
import { Parser, fromFile } from '@asyncapi/parser';

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
const faults = diagnostics.filter(({ severity }) => severity <= 1);
for (const { path, message } of faults) console.error(`${path.join('.')}: ${message}`);
process.exit(document && faults.length === 0 ? 0 : 1);

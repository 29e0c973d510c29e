// One host of the real network on loopback, until SIGTERM. Prints a JSON line when it is there.
//   node host.mjs plc PORT                    a directory of did:plc, in memory
//   node host.mjs pds PORT PLC-PORT DIRECTORY the reference PDS; what is in the directory is there again when it is started again
// Codes that the PDS would mail are printed as lines {"code": ...}.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

const [what, port, plc, directory] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const until = (stop) => ['SIGTERM', 'SIGINT'].forEach((s) => process.on(s, async () => { await stop(); process.exit(0); }));

if (what === 'plc') {
  const { PlcServer, Database } = await import('@did-plc/server');
  const server = PlcServer.create({ db: Database.mock(), port: +port });
  await server.start();
  until(() => server.destroy());
} else {
  const { PDS, envToCfg, envToSecrets } = await import('@atproto/pds');
  mkdirSync(join(directory, 'blobs'), { recursive: true });
  const kept = join(directory, 'secrets.json');
  if (!existsSync(kept)) writeFileSync(kept, JSON.stringify([16, 16, 32].map((n) => randomBytes(n).toString('hex'))), { mode: 0o600 });
  const [jwtSecret, adminPassword, plcRotationKeyK256PrivateKeyHex] = JSON.parse(readFileSync(kept, 'utf8'));
  const env = {
    devMode: true, port: +port, hostname: 'localhost', dataDirectory: directory, blobstoreDiskLocation: join(directory, 'blobs'),
    didPlcUrl: `http://127.0.0.1:${plc}`, serviceHandleDomains: ['.test'], inviteRequired: false, rateLimitsEnabled: false,
    disableSsrfProtection: true, jwtSecret, adminPassword, plcRotationKeyK256PrivateKeyHex,
  };
  const pds = await PDS.create(envToCfg(env), envToSecrets(env));
  pds.ctx.mailer.sendPlcOperation = async (mail) => say({ code: mail.token });
  await pds.start();
  until(() => pds.destroy());
}
say({ up: what });

// What a person does in a browser when a program wants to be let in, at the pages of the reference PDS: opens the address, logs in, says yes or no, and
// is sent back to where the program waits.
//   node consent.mjs URL USER PASSWORD [no]
import { request } from 'node:http';

const [address, username, password, word] = process.argv.slice(2);
const page = new URL(address);
const cookies = new Map();

function ask(url, { method = 'GET', head = {}, body } = {}) {
  return new Promise((done, failed) => {
    const jar = [...cookies].map(([k, v]) => `${k}=${v}`).join('; ');
    const r = request(url, { method, headers: { 'user-agent': 'consent', ...(jar && { cookie: jar }), ...head } }, (said) => {
      for (const line of said.headers['set-cookie'] ?? []) {
        const [, name, text] = /^([^=]+)=([^;]*)/.exec(line);
        cookies.set(name, text);
      }
      let text = '';
      said.on('data', (part) => (text += part)).on('end', () => done({ status: said.statusCode, head: said.headers, text }));
    });
    r.on('error', failed);
    r.end(body);
  });
}
const to = (site) => ({ 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html' });

async function press(what, input, head = {}) {
  const said = await ask(new URL(`/@atproto/oauth-provider/~api/${what}`, page), {
    method: 'POST',
    head: {
      'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'same-origin', origin: page.origin, referer: page.href,
      'x-csrf-token': cookies.get('csrf-token'), 'content-type': 'application/json', ...head,
    },
    body: JSON.stringify(input),
  });
  if (said.status !== 200) throw new Error(`${what}: ${said.status} ${said.text}`);
  return JSON.parse(said.text);
}

const opened = await ask(page, { head: to('none') });
if (opened.status !== 200) throw new Error(`the page: ${opened.status} ${opened.text.slice(0, 500)}`);
let onward;
if (word === 'no') onward = await press('reject', {});
else {
  const { account, ephemeralToken } = await press('sign-in', { locale: 'en', username, password, remember: false });
  onward = await press('consent', { sub: account.sub }, { authorization: `Bearer ${ephemeralToken}` });
}
const sent = await ask(onward.url, { head: { ...to('same-origin'), referer: page.href } });
if (sent.status !== 303) throw new Error(`sent back: ${sent.status} ${sent.text.slice(0, 500)}`);
const back = await ask(sent.head.location);
console.log(back.status, back.text.trim());

// A person at a browser: opens the page that is given, logs in under a name, and agrees.
//
//     node browser.mjs CHROMIUM URL NAME [deny]
//
// Prints the text of the last page, which is the one that the browser was sent back to.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

// Where it came back to with nothing left to press.
async function isLast(page) {
  const path = new URL(page.url()).pathname;
  return /\/(callback|signed-in)/.test(path) && !(await page.$("a#go"));
}

const [executablePath, url, name, choice] = process.argv.slice(2);
const userDataDir = await mkdtemp(join(tmpdir(), "browser-"));
const browser = await puppeteer.launch({
  executablePath,
  userDataDir,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(url);
  // First who it is, then whether that one agrees; each is a form of its own. A page of ours asks for its button before that.
  for (let step = 0; step < 8 && !(await isLast(page)); step += 1) {
    if (choice === "deny" && (await page.$("a[href*=abort]"))) {
      await Promise.all([page.waitForNavigation(), page.click("a[href*=abort]")]);
      continue;
    }
    if (await page.$("input[name=login]")) {
      await page.type("input[name=login]", name);
      await page.type("input[name=password]", "any");
    }
    const next = (await page.$("a#go")) ? "a#go" : "form button:not([name])";
    await Promise.all([page.waitForNavigation(), page.click(next)]);
  }
  console.log(await page.evaluate(() => document.body.innerText));
} finally {
  await browser.close();
  await rm(userDataDir, { recursive: true, force: true });
}

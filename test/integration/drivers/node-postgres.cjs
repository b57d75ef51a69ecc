// SPDX-License-Identifier: ISC
// node-postgres: many clients at once, each of which must get its own rows. Prints how many answers each got right.
// node node-postgres.cjs HOST PORT DATABASE CLIENTS MILLISECONDS
"use strict";
const assert = require("assert");
const { Client } = require("pg");
const [host, port, database, clients, milliseconds] = process.argv.slice(2);
const end = Date.now() + Number(milliseconds);

// The same names mean something else at each client, and the same text has another name.
const statements = (tag) => [
	{ name: "own", text: `SELECT ${tag} AS tag, $1::int AS value`, row: (value) => ({ tag, value }) },
	{ name: "more", text: `SELECT ${tag} AS tag, $1::int + 1 AS value FROM generate_series(1, 3)`, row: (value) => ({ tag, value: value + 1 }), rows: 3 },
	{ name: `shared${tag}`, text: "SELECT $1::int AS value, current_setting('application_name') AS name", row: (value) => ({ value, name: `tag${tag}` }) },
	{ text: `SELECT ${tag} AS unnamed, $1::int AS value`, row: (value) => ({ unnamed: tag, value }) },
];

async function work(tag) {
	const client = new Client({ host, port: Number(port), database, user: "alice", application_name: `tag${tag}` });
	let right = 0;
	await client.connect();
	const ask = async () => {
		const list = statements(tag);
		const { name, text, row, rows } = list[Math.floor(Math.random() * list.length)];
		const value = Math.floor(Math.random() * 1000);
		const answer = await client.query({ name, text, values: [value] });
		assert.deepStrictEqual(answer.rows, Array(rows ?? 1).fill(row(value)));
		right++;
	};
	while (Date.now() < end || right < 10) {
		const action = Math.random();
		if (action < 0.4) {
			await ask();
		} else if (action < 0.6) {
			await Promise.all([ask(), ask(), ask()]);
		} else if (action < 0.8) {
			await client.query("BEGIN");
			await ask();
			await ask();
			await client.query(Math.random() < 0.5 ? "COMMIT" : "ROLLBACK");
		} else {
			await assert.rejects(client.query({ name: "divide", text: "SELECT 1 / $1::int", values: [0] }), { code: "22012" });
			await assert.rejects(client.query({ name: "wrong", text: "SELEC $1", values: [0] }), { code: "42601" });
			await ask();
		}
	}
	await client.end();
	return right;
}

Promise.all(Array.from({ length: Number(clients) }, (_, n) => work(100 + n))).then(
	(rights) => console.log(JSON.stringify(rights)),
	(error) => {
		console.error(error);
		process.exit(1);
	},
);

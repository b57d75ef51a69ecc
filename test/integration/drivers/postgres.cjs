// SPDX-License-Identifier: ISC
// postgres.js: many clients at once, each of which must get its own rows. Prints how many answers each got right.
// It prepares whatever has parameters, and sends what is asked at the same time as a pipeline.
// node postgres.cjs HOST PORT DATABASE CLIENTS MILLISECONDS
"use strict";
const assert = require("assert");
const postgres = require("postgres");
const [host, port, database, clients, milliseconds] = process.argv.slice(2);
const end = Date.now() + Number(milliseconds);

async function work(tag) {
	const sql = postgres({ host, port: Number(port), database, username: "alice", max: 1, connection: { application_name: `tag${tag}` } });
	let right = 0;
	const own = async (on) => {
		const value = Math.floor(Math.random() * 1000);
		const rows = await on.unsafe(`SELECT ${tag} AS tag, $1::int AS value FROM generate_series(1, 3)`, [value], { prepare: true });
		assert.deepStrictEqual([...rows], Array(3).fill({ tag, value }));
		right++;
	};
	const shared = async (on) => {
		const value = Math.floor(Math.random() * 1000);
		const rows = await on`SELECT ${value}::int AS value, current_setting('application_name') AS name`;
		assert.deepStrictEqual([...rows], [{ value, name: `tag${tag}` }]);
		right++;
	};
	const unprepared = async (on) => {
		const rows = await on.unsafe(`SELECT ${tag} AS tag, $1::int AS one`, [1]);
		assert.deepStrictEqual([...rows], [{ tag, one: 1 }]);
		right++;
	};
	const divide = (on, by) => on`SELECT 1 / ${by}::int AS result`;
	while (Date.now() < end || right < 10) {
		const action = Math.random();
		if (action < 0.3) {
			await own(sql);
			await shared(sql);
		} else if (action < 0.5) {
			await Promise.all([own(sql), shared(sql), unprepared(sql), own(sql)]);
		} else if (action < 0.7) {
			await sql.begin(async (on) => {
				await Promise.all([shared(on), own(on)]);
				await unprepared(on);
			});
		} else if (action < 0.8) {
			const seen = [];
			await sql`SELECT n, ${tag}::int AS tag FROM generate_series(1, 7) n`.cursor(3, (rows) => {
				seen.push(...rows);
			});
			assert.deepStrictEqual(seen, Array.from({ length: 7 }, (_, n) => ({ n: n + 1, tag })));
		} else if (action < 0.9) {
			await Promise.all([shared(sql), assert.rejects(divide(sql, 0), { code: "22012" }), own(sql)]);
		} else {
			await assert.rejects(sql.begin(async (on) => {
				await own(on);
				await divide(on, 0);
			}), { code: "22012" });
			await shared(sql);
		}
	}
	await sql.end();
	return right;
}

Promise.all(Array.from({ length: Number(clients) }, (_, n) => work(100 + n))).then(
	(rights) => console.log(JSON.stringify(rights)),
	(error) => {
		console.error(error);
		process.exit(1);
	},
);

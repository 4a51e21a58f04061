// @grpc/grpc-js with a .proto of the Open Inference Protocol, unmodified.
//
// usage: NODE_PATH=.../node_modules node grpc_js.js HOST GRPC-PORT PROTO
'use strict';
const assert = require('assert');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [host, port, proto] = process.argv.slice(2);
const inference = grpc.loadPackageDefinition(loader.loadSync(proto, {keepCase: true})).inference;
const client =
    new inference.GRPCInferenceService(`${host}:${port}`, grpc.credentials.createInsecure());

function ask(method, message) {
    return new Promise((resolve, reject) => {
        const deadline = Date.now() + 10000;
        client[method](message, {deadline},
                       (error, answer) => error ? reject(error) : resolve(answer));
    });
}

async function main() {
    assert((await ask('ServerLive', {})).live);
    assert((await ask('ServerReady', {})).ready);
    assert((await ask('ModelReady', {name: 'classifier'})).ready);
    assert.strictEqual((await ask('ServerMetadata', {})).name, 'scree');
    const model = await ask('ModelMetadata', {name: 'classifier'});
    assert.deepStrictEqual(model.inputs[0].shape.map(Number), [1, 96, 96, 3]);
    const tensor = {name: 'image', datatype: 'UINT8', shape: [1, 96, 96, 3]};
    const pixels = Array.from({length: 96 * 96 * 3}, (_, i) => i % 256);
    const raw = await ask('ModelInfer', {
        model_name: 'classifier', inputs: [tensor], raw_input_contents: [Buffer.from(pixels)]});
    const contents = await ask('ModelInfer', {
        model_name: 'classifier', inputs: [{...tensor, contents: {uint_contents: pixels}}]});
    assert(raw.raw_output_contents[0].equals(contents.raw_output_contents[0]));
    assert.strictEqual(raw.raw_output_contents[0].length, 10);
    await assert.rejects(ask('ModelInfer', {model_name: 'none'}), {code: grpc.status.NOT_FOUND});
    console.log('ok grpc-js', [...raw.raw_output_contents[0]].join(' '));
    client.close();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
